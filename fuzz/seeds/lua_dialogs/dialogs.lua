dialogId("a-m-b", "font_small", "What \"ship\"?")
dialogStr("Jaká \"loď\"?")

dialogId("b", "", "")
dialogStr(
"")
function x() dialogId("c") end
