>> {"jsonrpc":"2.0","id":1,"method":"rpc.discover","params":{}}
<< {"jsonrpc":"2.0","id":1,"result":{"openrpc":"1.3.2","info":{"title":"SuperVM","...":0},"methods":["$_","..."],"components":"$_"}}
