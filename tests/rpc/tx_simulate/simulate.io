// nothing is written, signed or not
@tx pay alice {"inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_simulate","params":{"tx":"$pay"}}
<< {"jsonrpc":"2.0","id":1,"result":{"digest":"$pay_digest","status":"executed","path":"fast","failure":null,"effects":{"created":["$_"],"mutated":["$_"],"deleted":[]},"...":0}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_encode","params":{"transaction":{"sender":"$alice","inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"1001"}]}}}
<< {"jsonrpc":"2.0","id":1,"result":{"tx":"$unsigned","digest":"$d","signingMessage":"$_"}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_simulate","params":{"tx":"$unsigned","signed":false}}
<< {"jsonrpc":"2.0","id":1,"result":{"digest":"$d","status":"failed","failure":{"name":"INSUFFICIENT_BALANCE","op":0},"...":0}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_simulate","params":{"tx":"$unsigned"}}
<< {"jsonrpc":"2.0","id":1,"result":{"digest":"$d","status":"failed","...":0}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_simulate","params":{"tx":"$unsigned","signed":true}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1001,"message":"$_","data":{"name":"TX_DECODE","retry":"$_","...":0}}}
>> {"jsonrpc":"2.0","id":1,"method":"object_get","params":{"id":"$alice_spare_0"}}
<< {"jsonrpc":"2.0","id":1,"result":{"object":{"version":"1","balance":"1000","lastTx":null,"...":0},"seq":"0","durableSeq":"0"}}
