// one call at a time: the second of the batch is told to wait
@args --rpc.calls_max 1
>> [{"jsonrpc":"2.0","id":1,"method":"object_get","params":["$counter"]},{"jsonrpc":"2.0","id":2,"method":"object_get","params":["$counter"]}]
<< [{"jsonrpc":"2.0","id":1,"result":"$_"},{"jsonrpc":"2.0","id":2,"error":{"code":-32006,"message":"$_","data":{"name":"OVERLOADED","retry":"later","scope":"calls","limit":1,"retryAfterMs":1000}}}]
