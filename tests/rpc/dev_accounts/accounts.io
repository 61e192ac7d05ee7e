>> {"jsonrpc":"2.0","id":1,"method":"dev_accounts","params":{}}
<< {"jsonrpc":"2.0","id":1,"result":{"items":[{"name":"alice","address":"$alice","publicKey":"$_","secretKey":"$_","coin":"$alice_coin"},{"name":"bob","address":"$bob","coin":"$bob_coin","...":0},"..."]}}
