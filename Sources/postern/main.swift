import PosternCommands

Invocation.main()
