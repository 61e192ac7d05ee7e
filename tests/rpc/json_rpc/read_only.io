// no room on the disk: reads go on, writes wait
@args --datadir data --durability write --storage.disk_free_min 64TiB
@tx pay alice {"inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$pay"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1401,"message":"$_","data":{"name":"STORAGE_READ_ONLY","retry":"$_","...":0}}}
>> {"jsonrpc":"2.0","id":1,"method":"object_get","params":{"id":"$alice_coin"}}
<< {"jsonrpc":"2.0","id":1,"result":{"...":0}}
>> {"jsonrpc":"2.0","id":1,"method":"node_health","params":{}}
<< {"jsonrpc":"2.0","id":1,"result":{"status":"degraded","...":0}}
