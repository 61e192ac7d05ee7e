>unix> {"jsonrpc":"2.0","id":1,"method":"admin_stop","params":{}}
<< {"jsonrpc":"2.0","id":1,"result":{"accepted":true}}
@exit 0
