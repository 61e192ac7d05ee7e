@args --datadir data --durability sync
>unix> {"jsonrpc":"2.0","id":1,"method":"admin_checkpoint","params":{"dir":"$copy"}}
<< {"jsonrpc":"2.0","id":1,"result":{"dir":"$_","seq":"0"}}
// there is one already
>unix> {"jsonrpc":"2.0","id":1,"method":"admin_checkpoint","params":{"dir":"$copy"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","...":0}}}
// the disk fails: the reason is in the log, under the errorId
>unix> {"jsonrpc":"2.0","id":1,"method":"admin_checkpoint","params":{"dir":"/dev/null/copy"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"$_","data":{"name":"INTERNAL","retry":"$_","errorId":"$_","retryAfterMs":1000}}}
