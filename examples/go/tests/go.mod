module example.com/greet/tests

go 1.24
