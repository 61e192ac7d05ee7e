>> {"jsonrpc":"2.0","id":1,"method":"object_get","params":{"id":"$counter"}}
<< {"jsonrpc":"2.0","id":1,"result":{"object":{"id":"$counter","version":"1","kind":"shared","owner":null,"controller":"$_","openWithdraw":"$_","balance":"0","type":"$_","data":"$_","createdMs":"$_","modifiedMs":"$_","lastTx":null},"seq":"0","durableSeq":"0"}}
>> {"jsonrpc":"2.0","id":1,"method":"object_get","params":["$notice"]}
<< {"jsonrpc":"2.0","id":1,"result":{"object":{"id":"$notice","kind":"immutable","owner":null,"controller":null,"openWithdraw":false,"...":0},"...":0}}
>> {"jsonrpc":"2.0","id":1,"method":"object_get","params":{"id":"0x4444444444444444444444444444444444444444444444444444444444444444"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"$_","data":{"name":"NOT_FOUND","retry":"$_","kind":"object","id":"0x4444444444444444444444444444444444444444444444444444444444444444"}}}
