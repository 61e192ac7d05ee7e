// a shared input: ordered
@tx count alice {"inputs":[{"kind":"shared","id":"$counter","mutable":true},{"kind":"owned","id":"$alice_spare_1","version":"1"}],"ops":[{"op":"add","input":0,"offset":0,"delta":"1"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$count"}}
<< {"jsonrpc":"2.0","id":1,"result":{"digest":"$count_digest","status":"executed","path":"consensus","fallback":null,"seq":"1","failure":null,"effects":{"created":[],"mutated":["$_","$_"],"deleted":[]},"...":0}}
