// jsonrpc absent, or another
>> {"id":1,"method":"node_health"}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32600,"...":0}}
>> {"jsonrpc":"1.0","id":1,"method":"node_health"}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32600,"...":0}}
>> {"jsonrpc":2.0,"id":1,"method":"node_health"}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32600,"...":0}}
// method and params
>> {"jsonrpc":"2.0","id":1,"method":5}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32600,"...":0}}
>> {"jsonrpc":"2.0","id":1}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32600,"...":0}}
>> {"jsonrpc":"2.0","id":1,"method":"node_health","params":"bar"}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32600,"...":0}}
>> {"jsonrpc":"2.0","id":1,"method":"node_healht"}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"$_","data":{"name":"METHOD_NOT_FOUND","retry":"never","didYouMean":"node_health"}}}
>> {"jsonrpc":"2.0","id":1,"method":"rpc.foo"}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32601,"...":0}}
>> {"jsonrpc":"2.0","id":1,"method":""}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32601,"...":0}}
>> 5
<< {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"...":0}}
>> "text"
<< {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"...":0}}
