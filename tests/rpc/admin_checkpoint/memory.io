// there is no directory to copy
>unix> {"jsonrpc":"2.0","id":1,"method":"admin_checkpoint","params":{"dir":"/nonexistent/supervm-test"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32004,"message":"$_","data":{"name":"METHOD_DISABLED","retry":"never","reason":"there is nothing on disk to copy in durability mode memory"}}}
>unix> {"jsonrpc":"2.0","id":1,"method":"admin_checkpoint","params":{"dir":"relative"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","param":"dir","expected":"an absolute path","got":"relative"}}}
