// Everything that is wrong, each with where it is, what to do, and where there is one its cure as a button.
import { CircleAlert, CircleHelp, TriangleAlert, Wrench } from "lucide-react"
import { useMemo } from "react"
import type { Problem, RunError } from "../api/types"
import { useT, words } from "../app/i18n"
import { Marked } from "../app/Marked"
import { isOwnCard } from "../canvas/shape"
import { edit, editWhole } from "../document/store"
import { failures } from "../run/frames"
import { useRuns } from "../run/store"
import { mended } from "../typing/repairs"
import { useTyping } from "../typing/store"
import { jump, placeOf } from "./jump"

const ICONS = { error: CircleAlert, warning: TriangleAlert, unknown: CircleHelp }
const RANK = { error: 0, warning: 1, unknown: 2 }

export default function Problems() {
  const t = useT()
  const found = useTyping(({ problems }) => problems)
  const known = useTyping(({ check }) => check !== null)
  const refused = useRuns(({ refused }) => refused)
  const error = useRuns(({ current }) => current?.error ?? null)
  const sorted = useMemo(() => [...found].sort((a, b) => RANK[a.level] - RANK[b.level]), [found])
  const new_ = refused.filter((one) => !found.some((other) => other.message === one.message && other.node === one.node))
  const failed = useMemo(() => ofRun(error), [error])
  if (!sorted.length && !new_.length && !failed.length) return <p className="nothing">{t(known ? "noProblems" : "notChecked")}</p>
  return (
    <div className="problems">
      <List problems={sorted} />
      {new_.length > 0 && <><h3>{t("cannotRun")}</h3><List problems={new_} /></>}
      {failed.length > 0 && <><h3>{t("fromThisRun")}</h3><List problems={failed} /></>}
    </div>
  )
}

/** What a run failed of, in the same shape. */
export function ofRun(error: RunError | null): Problem[] {
  if (!error) return []
  if (error.problems?.length) return error.problems
  return failures(error).map(({ code, message, node = "" }, i) => ({ code, message, node, fix: (!i && error.fix) || "", port: "", got: "", expected: "", level: "error" }))
}

function List({ problems }: { problems: Problem[] }) {
  return <ul>{problems.map((problem, i) => <Item key={`${problem.code}.${problem.node}.${problem.port}.${i}`} problem={problem} />)}</ul>
}

function Item({ problem }: { problem: Problem }) {
  const t = useT()
  const place = placeOf(problem)
  const where = !place ? t("wholeGraph") : isOwnCard(place.node) ? place.port : [place.node, problem.port].filter(Boolean).join(".")
  const Icon = ICONS[problem.level]
  return (
    <li className={problem.level}>
      <button type="button" className="problem" disabled={!place} title={place ? t("jumpTo", { where }) : undefined} onClick={() => place && jump(place)}>
        <Icon size={14} aria-label={t(problem.level)} />
        <span>
          <b>{where}</b>
          <Marked text={problem.message} />
          {problem.fix && <em><Marked text={problem.fix} /></em>}
        </span>
      </button>
      {problem.repairs && (
        <div className="repairs">
          {problem.repairs.map((repair, i) => (
            <button key={i} type="button" className="button small" onClick={() => (problem.inside ? edit : editWhole)((doc) => mended(doc, repair))}><Wrench size={12} />{words(repair.words)}</button>
          ))}
        </div>
      )}
    </li>
  )
}
