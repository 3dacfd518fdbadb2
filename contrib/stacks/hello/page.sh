#!/bin/sh
# Run for each request. What stands in double braces is filled in for each task.
printf 'Content-Type: text/plain\r\n\r\n'
echo "replica {{.Task.Slot}} to $REMOTE_ADDR: $(wget -q -O - http://greeter/)"
