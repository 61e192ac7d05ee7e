// one error for each id, so that nobody waits for a missing one
@args --rpc.batch_items_max 2
>> [{"jsonrpc":"2.0","id":1,"method":"node_health"},{"jsonrpc":"2.0","method":"node_health"},{"jsonrpc":"2.0","id":"b","method":"node_health"}]
<< [{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"$_","data":{"name":"LIMIT_EXCEEDED","retry":"never","scope":"batch","limit":2,"got":3}}},{"jsonrpc":"2.0","id":"b","error":{"code":-32005,"...":0}}]
>> [{"jsonrpc":"2.0","method":"node_health"},{"jsonrpc":"2.0","method":"node_health"},{"jsonrpc":"2.0","method":"node_health"}]
<<
