export const en = {
  keyboard: "Keyboard",
  keyboardHelp: "Keyboard shortcuts",
  section_run: "Run",
  section_file: "File",
  section_edit: "Edit",
  section_view: "View",
  section_wire: "Cards and wires",
  section_arrange: "Arrange",
}

export const zh: typeof en = {
  keyboard: "键盘",
  keyboardHelp: "键盘快捷键",
  section_run: "运行",
  section_file: "文件",
  section_edit: "编辑",
  section_view: "视图",
  section_wire: "节点与连线",
  section_arrange: "排列",
}
