export const en = {
  inputs: "Inputs",
  outputs: "Outputs",
  addInput: "Drop a wire here to make an input",
  addOutput: "Drop a wire here to make an output",
  more: "{n} more settings",
  fewer: "Fewer settings",
  cached: "cached",
  willRun: "will run",
  seconds: "{n} s",
  expand: "Expand",
  collapse: "Collapse",
}

export const zh: typeof en = {
  inputs: "输入",
  outputs: "输出",
  addInput: "把连线拖到这里，新建一个输入",
  addOutput: "把连线拖到这里，新建一个输出",
  more: "另有 {n} 项设置",
  fewer: "收起设置",
  cached: "已缓存",
  willRun: "将运行",
  seconds: "{n} 秒",
  expand: "展开",
  collapse: "折叠",
}
