// there is nothing on disk to compact
>unix> {"jsonrpc":"2.0","id":1,"method":"admin_compact","params":{}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32004,"message":"there is nothing on disk to compact in durability mode memory","data":{"name":"METHOD_DISABLED","retry":"never","reason":"there is nothing on disk to compact in durability mode memory"}}}
