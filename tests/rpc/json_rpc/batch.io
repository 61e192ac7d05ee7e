// the answers are in the order of the requests; a notification has none
>> [{"jsonrpc":"2.0","id":1,"method":"node_health"},{"jsonrpc":"2.0","method":"node_health"},{"jsonrpc":"2.0","id":"2","method":"object_get","params":{"id":"$counter"}},{"foo":"boo"},{"jsonrpc":"2.0","id":3,"method":"foo.get"},{"jsonrpc":"2.0","id":4,"method":"stats_gc","params":[]}]
<< [{"jsonrpc":"2.0","id":1,"result":"$_"},{"jsonrpc":"2.0","id":"2","result":{"object":{"id":"$counter","...":0},"...":0}},{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"...":0}},{"jsonrpc":"2.0","id":3,"error":{"code":-32601,"...":0}},{"jsonrpc":"2.0","id":4,"result":"$_"}]
>> []
<< {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"...":0}}
>> [1,2]
<< [{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"...":0}},{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"...":0}}]
>> [[]]
<< [{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"...":0}}]
