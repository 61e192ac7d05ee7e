// two transactions for one version: the second learns who won
@tx one alice {"inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]}
@tx two alice {"nonce":"2","inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$carol","amount":"5"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$one"}}
<< {"jsonrpc":"2.0","id":1,"result":{"status":"executed","...":0}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$two"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1201,"message":"$_","data":{"name":"VERSION_CONFLICT","retry":"$_","id":"$alice_spare_0","given":"1","current":"2","consumedBy":"$one_digest","...":0}}}
