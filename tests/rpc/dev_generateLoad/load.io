>> {"jsonrpc":"2.0","id":1,"method":"dev_generateLoad","params":{"transactions":200,"sharedPpm":500000,"concurrency":20}}
<< {"jsonrpc":"2.0","id":1,"result":{"submitted":200,"completed":200,"failed":0,"refused":0,"fallbacks":"$_","elapsedUs":"$_"}}
>> {"jsonrpc":"2.0","id":1,"method":"stats_routing","params":{}}
<< {"jsonrpc":"2.0","id":1,"result":{"submitted":200,"...":0}}
