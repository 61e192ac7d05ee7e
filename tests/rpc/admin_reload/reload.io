>unix> {"jsonrpc":"2.0","id":1,"method":"admin_reload","params":{}}
<< {"jsonrpc":"2.0","id":1,"result":{"changes":[]}}
