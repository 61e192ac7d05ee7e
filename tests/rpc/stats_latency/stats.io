>> {"jsonrpc":"2.0","id":1,"method":"stats_latency","params":{}}
<< {"jsonrpc":"2.0","id":1,"result":{"...":0}}
>> {"jsonrpc":"2.0","id":1,"method":"stats_latency","params":{"x":1}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","param":"x","expected":"no parameters","got":"$_","unknown":["x"]}}}
