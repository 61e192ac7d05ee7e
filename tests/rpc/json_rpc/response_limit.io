// beyond the response limit the rest of a batch is told so
@args --rpc.response_bytes_max 64KiB
>> [{"jsonrpc":"2.0","id":1,"method":"rpc.discover"},{"jsonrpc":"2.0","id":2,"method":"node_info"}]
<< [{"jsonrpc":"2.0","id":1,"error":{"code":-32003,"message":"$_","data":{"name":"RESPONSE_TOO_LARGE","retry":"never","limit":65536}}},{"jsonrpc":"2.0","id":2,"result":"$_"}]
