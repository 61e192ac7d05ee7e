>> {"jsonrpc":"2.0","id":1,"method":"node_info","params":{}}
<< {"jsonrpc":"2.0","id":1,"result":{"chain":{"id":"$chain","genesis":"$_","dev":true},"versions":{"api":1,"tx":[1],"...":0},"durability":"memory","dev":true,"limits":{"txBytes":131072,"batchItems":1000,"...":0},"...":0}}
