>> {"jsonrpc":"2.0","id":1,"method":"dev_faucet","params":{"to":"alice","amount":"500"}}
<< {"jsonrpc":"2.0","id":1,"result":{"status":"executed","path":"fast","effects":{"created":[{"id":"$coin","version":"$_","kind":"owned","owner":"$alice"}],"...":0},"...":0}}
>> {"jsonrpc":"2.0","id":1,"method":"object_get","params":{"id":"$coin"}}
<< {"jsonrpc":"2.0","id":1,"result":{"object":{"balance":"500","...":0},"...":0}}
>> {"jsonrpc":"2.0","id":1,"method":"dev_faucet","params":{"to":"nobody"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","param":"to","expected":"$_","got":"nobody"}}}
>> {"jsonrpc":"2.0","id":1,"method":"dev_faucet","params":{"to":"$bob","wait":"none"}}
<< {"jsonrpc":"2.0","id":1,"result":{"status":"pending","...":0}}
