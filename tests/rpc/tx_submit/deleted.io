// an object that is gone says by whom
@tx make alice {"expiresMs":"0","inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"create","owner":{"kind":"owned","address":"$alice"},"type":"note","data":"AQID"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$make"}}
<< {"jsonrpc":"2.0","id":1,"result":{"status":"executed","effects":{"created":[{"id":"$note","version":"$v","kind":"owned","owner":"$alice"}],"...":0},"...":0}}
@tx drop alice {"inputs":[{"kind":"owned","id":"$note","version":"$v"}],"ops":[{"op":"delete","input":0}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$drop"}}
<< {"jsonrpc":"2.0","id":1,"result":{"status":"executed","effects":{"created":[],"mutated":[],"deleted":[{"id":"$note","version":"$_","kind":"owned","owner":"$_"}]},"...":0}}
@tx late alice {"nonce":"9","inputs":[{"kind":"owned","id":"$note","version":"7"}],"ops":[{"op":"freeze","input":0}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$late"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1104,"message":"$_","data":{"name":"OBJECT_DELETED","retry":"$_","id":"$note","...":0}}}
>> {"jsonrpc":"2.0","id":1,"method":"object_get","params":{"id":"$note"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1104,"message":"$_","data":{"name":"OBJECT_DELETED","retry":"$_","id":"$note","...":0}}}
>> {"jsonrpc":"2.0","id":1,"method":"object_getMany","params":{"ids":["$note","$alice_coin","0x2222222222222222222222222222222222222222222222222222222222222222"]}}
<< {"jsonrpc":"2.0","id":1,"result":{"items":[{"id":"$note","object":null,"error":{"code":1104,"...":0}},{"id":"$alice_coin","object":{"balance":"1000000","...":0},"error":null},{"id":"0x2222222222222222222222222222222222222222222222222222222222222222","object":null,"error":{"code":-32001,"...":0}}],"seq":"2","durableSeq":"0"}}
