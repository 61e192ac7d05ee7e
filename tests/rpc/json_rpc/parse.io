// what is no JSON
>> {"jsonrpc":"2.0","id":1,"method":"node_health","params":
<< {"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"$_","data":{"name":"PARSE_ERROR","retry":"never","line":1,"column":"$_","offset":"$_","reason":"$_"}}}
>> {"jsonrpc":"2.0","id":1,"method":"node_health"} x
<< {"jsonrpc":"2.0","id":null,"error":{"code":-32700,"...":0}}
>> [{"jsonrpc":"2.0","id":1,"method":"node_health"},{"jsonrpc":"2.0","method"]
<< {"jsonrpc":"2.0","id":null,"error":{"code":-32700,"...":0}}
// two members of one name
>> {"jsonrpc":"2.0","id":1,"id":1,"method":"node_health"} 
<< {"jsonrpc":"2.0","id":1,"result":"$_"}
// an integer beyond 64 bits
>> {"jsonrpc":"2.0","id":9223372036854775808,"method":"node_health"}
<< {"jsonrpc":"2.0","id":null,"error":{"code":-32700,"...":0}}
// nested deeper than 32
>> {"jsonrpc":"2.0","id":1,"method":"node_health","params":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}
<< {"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"$_","data":{"reason":"nested more than 32 deep","...":0}}}
