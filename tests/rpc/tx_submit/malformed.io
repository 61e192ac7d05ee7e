// bytes that are no transaction
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":""}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1001,"message":"$_","data":{"name":"TX_DECODE","retry":"$_","offset":0,"...":0}}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"AAAA"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1001,"message":"$_","data":{"name":"TX_DECODE","retry":"$_","...":0}}}
// a variant that nobody knows
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"BwA="}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1007,"message":"$_","data":{"name":"UNSUPPORTED_VERSION","retry":"$_","...":0}}}
// the private variant
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"AQA="}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1303,"message":"$_","data":{"name":"PRIVACY_UNAVAILABLE","retry":"$_","...":0}}}
// not base64
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"A A="}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","param":"tx","expected":"$_","got":"$_"}}}
