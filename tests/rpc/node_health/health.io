>> {"jsonrpc":"2.0","id":1,"method":"node_health","params":{}}
<< {"jsonrpc":"2.0","id":1,"result":{"status":"ok","checks":[{"name":"threads","ok":true,"text":"$_"},{"name":"engine","ok":true,"text":"$_"},{"name":"admission","ok":true,"text":"open"},{"name":"calls","ok":true,"text":"$_"}]}}
