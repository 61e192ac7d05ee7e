// what the parameters must be, and what is said when they are not
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","param":"tx","expected":"$_","got":"nothing"}}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":5}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","param":"tx","expected":"$_","got":"integer 5"}}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"","wiat":"none"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","param":"wiat","expected":"$_","got":"$_","unknown":["wiat"],"didYouMean":"wait"}}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"","wait":"durabel"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","param":"wait","expected":"one of none executed durable","got":"$_","didYouMean":"durable"}}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"","timeoutMs":0}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","param":"timeoutMs","expected":"integer from 1 to 600000","got":"integer 0"}}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":["","none",1,2]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","param":"$_","expected":"no further parameter","got":"integer 2"}}}
