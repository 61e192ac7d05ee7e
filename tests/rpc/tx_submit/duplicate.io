// the same bytes again: the same receipt
@tx pay alice {"inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$pay","wait":"executed"}}
<< {"jsonrpc":"2.0","id":1,"result":{"digest":"$pay_digest","status":"executed","duplicate":false,"seq":"1","...":0}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":["$pay","executed",1000]}
<< {"jsonrpc":"2.0","id":1,"result":{"digest":"$pay_digest","status":"executed","duplicate":true,"seq":"1","...":0}}
