// What the bar and the pages say. Every room has a file of words like this one; app/i18n.ts joins them.
export const en = {
  untitled: "Untitled",
  run: "Run",
  stop: "Stop",
  save: "Save",
  saved: "Saved",
  unsaved: "Not saved yet",
  undo: "Undo",
  redo: "Redo",
  offline: "The server cannot be reached. What you do is kept here, and it is tried again by itself.",
  back: "All graphs",
  close: "Close",
  cancel: "Cancel",
  search: "Search",
  nothingYet: "Nothing yet",
}

export const zh: typeof en = {
  untitled: "未命名",
  run: "运行",
  stop: "停止",
  save: "保存",
  saved: "已保存",
  unsaved: "尚未保存",
  undo: "撤销",
  redo: "重做",
  offline: "连不上服务器。你的改动保存在浏览器里，会自动重试。",
  back: "全部流程图",
  close: "关闭",
  cancel: "取消",
  search: "搜索",
  nothingYet: "还没有内容",
}
