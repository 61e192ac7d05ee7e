>unix> {"jsonrpc":"2.0","id":1,"method":"admin_runGc","params":{}}
<< {"jsonrpc":"2.0","id":1,"result":{"versionsRemoved":"$_","elapsedUs":"$_"}}
