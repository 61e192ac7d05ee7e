>> {"jsonrpc":"2.0","id":1,"method":"tx_get","params":{"digest":"0x3333333333333333333333333333333333333333333333333333333333333333"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"$_","data":{"name":"NOT_FOUND","retry":"$_","kind":"transaction","id":"0x3333333333333333333333333333333333333333333333333333333333333333"}}}
@tx pay alice {"inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$pay"}}
<< {"jsonrpc":"2.0","id":1,"result":{"status":"executed","...":0}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_get","params":["$pay_digest"]}
<< {"jsonrpc":"2.0","id":1,"result":{"digest":"$pay_digest","status":"executed","duplicate":false,"path":"fast","seq":"1","sender":"$alice","executedMs":"$_","failure":null,"...":0}}
