>unix> {"jsonrpc":"2.0","id":1,"method":"admin_setLogLevel","params":{"level":"debug"}}
<< {"jsonrpc":"2.0","id":1,"result":{"level":"debug"}}
>unix> {"jsonrpc":"2.0","id":1,"method":"admin_setLogLevel","params":{"level":"loud"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","param":"level","expected":"$_","got":"$_"}}}
