@args --datadir data --durability write
>unix> {"jsonrpc":"2.0","id":1,"method":"admin_compact","params":{}}
<< {"jsonrpc":"2.0","id":1,"result":{"elapsedUs":"$_"}}
