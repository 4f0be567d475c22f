import { Type } from 'typebox'
import { entry, flag, oneOf, regularExpression, section, text } from '../fields.ts'

export const validation = section({
  disabled: flag(false),
  /** The older spelling of `disabled: false`. */
  enabled: Type.Optional(flag()),
  manifests: section({
    /** Takes manifests whose config, layers or children are not in the repository (Berth's own key). */
    sparse: flag(false),
    /** Which URLs the layers of a manifest may name; with both lists empty, any. */
    urls: section({
      allow: Type.Array(regularExpression(), { default: [] }),
      deny: Type.Array(regularExpression(), { default: [] }),
    }),
    /** Which children of an index have to be there when it is pushed. */
    indexes: section({
      platforms: oneOf(['all', 'none', 'list'], 'all'),
      platformlist: Type.Array(entry({ architecture: text(), os: text() }), { default: [] }),
    }),
  }),
})
