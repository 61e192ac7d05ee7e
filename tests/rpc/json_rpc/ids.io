// an id comes back as it is
>> {"jsonrpc":"2.0","id":"x\u00e9\n","method":"node_health"}
<< {"jsonrpc":"2.0","id":"x\u00e9\n","result":"$_"}
>> {"jsonrpc":"2.0","id":null,"method":"node_health"}
<< {"jsonrpc":"2.0","id":null,"result":"$_"}
>> {"jsonrpc":"2.0","id":-9223372036854775808,"method":"node_health"}
<< {"jsonrpc":"2.0","id":-9223372036854775808,"result":"$_"}
>> {"jsonrpc":"2.0","id":0.1,"method":"node_health"}
<< {"jsonrpc":"2.0","id":0.1,"result":"$_"}
>> {"jsonrpc":"2.0","id":"","method":"node_health","params":null}
<< {"jsonrpc":"2.0","id":"","result":"$_"}
// but not any id
>> {"jsonrpc":"2.0","id":[1],"method":"node_health"}
<< {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"$_","data":{"name":"INVALID_REQUEST","retry":"never","reason":"$_"}}}
>> {"jsonrpc":"2.0","id":{},"method":"node_health"}
<< {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"...":0}}
>> {"jsonrpc":"2.0","id":true,"method":"node_health"}
<< {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"...":0}}
