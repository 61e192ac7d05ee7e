// which way, by which rule, and how each input is seen
@tx pay alice {"inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_explainRoute","params":{"tx":"$pay"}}
<< {"jsonrpc":"2.0","id":1,"result":{"path":"fast","rule":"ALL_OWNED","error":null,"seq":"0","inputs":[{"id":"$alice_spare_0","known":true,"deleted":false,"declared":"owned","actual":"owned","exact":true,"given":"1","current":"1","owner":"$alice"}]}}
@tx count alice {"expiresMs":"0","inputs":[{"kind":"shared","id":"$counter","mutable":true},{"kind":"owned","id":"$alice_spare_1","version":"1"}],"ops":[{"op":"add","input":0,"offset":0,"delta":"1"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_explainRoute","params":{"tx":"$count"}}
<< {"jsonrpc":"2.0","id":1,"result":{"path":"consensus","rule":"SHARED_INPUT","error":null,"seq":"0","inputs":["$_","$_"]}}
@tx steal alice {"inputs":[{"kind":"owned","id":"$bob_coin","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$alice","amount":"5"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_explainRoute","params":{"tx":"$steal"}}
<< {"jsonrpc":"2.0","id":1,"result":{"path":"$_","rule":"REFUSED","error":{"code":1102,"message":"$_","data":{"name":"NOT_OWNER","retry":"never","id":"$bob_coin","...":0}},"seq":"0","inputs":["$_"]}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_explainRoute","params":{"tx":"AAAA"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1001,"message":"$_","data":{"name":"TX_DECODE","retry":"$_","...":0}}}
