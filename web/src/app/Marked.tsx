// What Python says, in which `names` stand between backticks.
export const Marked = ({ text }: { text: string }) => <>{text.split("`").map((part, i) => (i % 2 ? <code key={i}>{part}</code> : part))}</>
