// one load at a time
>> [{"jsonrpc":"2.0","id":1,"method":"dev_generateLoad","params":{"transactions":300}},{"jsonrpc":"2.0","id":2,"method":"dev_generateLoad","params":{"transactions":300}}]
<< ["$_","$_"]
