// over TCP an admin method says where it lives
>> {"jsonrpc":"2.0","id":1,"method":"admin_drain","params":{}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32010,"message":"$_","data":{"name":"FORBIDDEN","retry":"$_","namespace":"admin","needed":"the unix socket"}}}
>unix> {"jsonrpc":"2.0","id":1,"method":"admin_drain","params":{}}
<< {"jsonrpc":"2.0","id":1,"result":{"accepted":true}}
// reads go on, writes do not
@tx pay alice {"inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]}
>> {"jsonrpc":"2.0","id":1,"method":"object_get","params":{"id":"$alice_coin"}}
<< {"jsonrpc":"2.0","id":1,"result":{"...":0}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$pay"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32007,"message":"$_","data":{"name":"SHUTTING_DOWN","retry":"$_","retryAfterMs":1000}}}
>> {"jsonrpc":"2.0","id":1,"method":"node_health","params":{}}
<< {"jsonrpc":"2.0","id":1,"result":{"status":"draining","...":0}}
