@args --datadir data --durability sync
>unix> {"jsonrpc":"2.0","id":1,"method":"admin_checkpoint","params":{"dir":"$copy"}}
<< {"jsonrpc":"2.0","id":1,"result":{"dir":"$_","seq":"0"}}
// there is one already
>unix> {"jsonrpc":"2.0","id":1,"method":"admin_checkpoint","params":{"dir":"$copy"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"never","param":"dir","got":"$copy","reason":"$_"}}}
// below what is no folder
>unix> {"jsonrpc":"2.0","id":1,"method":"admin_checkpoint","params":{"dir":"/dev/null/copy"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"never","param":"dir","got":"/dev/null/copy","reason":"$_"}}}
// in a folder that is not there
>unix> {"jsonrpc":"2.0","id":1,"method":"admin_checkpoint","params":{"dir":"/nowhere/copy"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"never","param":"dir","got":"/nowhere/copy","reason":"$_"}}}
// a name that is too long
>unix> {"jsonrpc":"2.0","id":1,"method":"admin_checkpoint","params":{"dir":"/tmp/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"never","param":"dir","got":"/tmp/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn","reason":"$_"}}}
