// refused: nothing consumed, no receipt
// signed by somebody else than the sender
@tx r0 bob {"sender":"$alice","inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$r0"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1003,"message":"$_","data":{"name":"BAD_SIGNATURE","retry":"$_","...":0}}}
// another chain
@tx r1 alice {"chain":"7","inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$r1"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1004,"message":"$_","data":{"name":"WRONG_CHAIN","retry":"$_","expected":"$chain","got":"7","...":0}}}
// expired long ago
@tx r2 alice {"expiresMs":"1","inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$r2"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1005,"message":"$_","data":{"name":"EXPIRED","retry":"$_","expiresMs":"1","nowMs":"$_","...":0}}}
// the latest version, and no expiry
@tx r3 alice {"inputs":[{"kind":"owned","id":"$alice_spare_0"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$r3"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1006,"message":"$_","data":{"name":"EXPIRY_TOO_FAR","retry":"$_","...":0}}}
// an object that never was
@tx r4 alice {"inputs":[{"kind":"owned","id":"0x1111111111111111111111111111111111111111111111111111111111111111","version":"1"}],"ops":[{"op":"freeze","input":0}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$r4"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1101,"message":"$_","data":{"name":"OBJECT_NOT_FOUND","retry":"$_","id":"0x1111111111111111111111111111111111111111111111111111111111111111","...":0}}}
// bob's coin
@tx r5 alice {"inputs":[{"kind":"owned","id":"$bob_coin","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$alice","amount":"5"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$r5"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1102,"message":"$_","data":{"name":"NOT_OWNER","retry":"$_","id":"$bob_coin","owner":"$bob","...":0}}}
// a shared object declared as owned
@tx r6 alice {"inputs":[{"kind":"owned","id":"$counter","version":"1"}],"ops":[{"op":"freeze","input":0}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$r6"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1105,"message":"$_","data":{"name":"WRONG_INPUT_KIND","retry":"$_","id":"$counter","declared":"owned","actual":"shared","...":0}}}
// an immutable object declared as owned
@tx r7 alice {"inputs":[{"kind":"owned","id":"$notice","version":"1"}],"ops":[{"op":"freeze","input":0}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$r7"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1103,"message":"$_","data":{"name":"OBJECT_IMMUTABLE","retry":"$_","id":"$notice","...":0}}}
// less gas than the base price
@tx r8 alice {"gasLimit":"1","inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$r8"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1301,"message":"$_","data":{"name":"GAS_TOO_LOW","retry":"$_","...":0}}}
