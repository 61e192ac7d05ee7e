@tx pay alice {"inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_decode","params":{"tx":"$pay"}}
<< {"jsonrpc":"2.0","id":1,"result":{"transaction":{"chain":"$chain","sender":"$alice","nonce":"0","expiresMs":"0","gasLimit":"1000000","inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]},"digest":"$pay_digest","tx":"$_","signed":true,"publicKey":"$_","signature":"$_"}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_decode","params":{"tx":"AAAA"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1001,"message":"$_","data":{"name":"TX_DECODE","retry":"$_","...":0}}}
