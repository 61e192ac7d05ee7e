@args --rpc.batch_items_max 2
>> {"jsonrpc":"2.0","id":1,"method":"tx_submitBatch","params":{"txs":["AAAA","AAAA","AAAA"]}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"$_","data":{"name":"LIMIT_EXCEEDED","retry":"$_","scope":"txs","limit":2,"got":3}}}
