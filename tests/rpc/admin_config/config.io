>unix> {"jsonrpc":"2.0","id":1,"method":"admin_config","params":{}}
<< {"jsonrpc":"2.0","id":1,"result":{"config":{"node.dev":{"value":"on","origin":"flag","reloadable":false},"...":0}}}
