import { randomBytes } from 'node:crypto'
import type { FastifyReply } from 'fastify'
import type { Consent } from '../../accounts/oauth.ts'
import { scopeViews } from './scope-views.ts'

/** Pages for the browser of someone who lets an application act in their name. */

/** What goes into the page's form besides the answers to its question. */
export interface ConsentForm {
  consent: Consent
  scope: string
  state: string | undefined
  csrfToken: string
  /** Where the forms go to. */
  approve: string
  deny: string
}

/** The question whether an application may do what it asks for. */
export function sendConsentPage(
  reply: FastifyReply,
  { consent, scope, state, csrfToken, approve, deny }: ConsentForm,
): FastifyReply {
  const { application, responseType, redirectUri, scopes } = consent
  const fields = Object.entries({
    client_id: application.client_id,
    redirect_uri: redirectUri,
    response_type: responseType,
    scope,
    _csrf_token: csrfToken,
    ...(state === undefined ? {} : { state }),
  })
  const hidden = fields
    .map(([name, value]) => `<input type="hidden" name="${name}" value="${escaped(value)}">`)
    .join('')
  const wishes = scopeViews(scopes).map(
    ({ title, description, dangerous }) =>
      `<dt>${escaped(title)}${dangerous ? ' (as much as your password)' : ''}</dt><dd>${escaped(description)}</dd>`,
  )
  return sendPage(reply, {
    title: `Let ${application.name} act in your name?`,
    body: `
<p>The application <b>${escaped(application.name)}</b> of <b>${escaped(application.namespace)}</b> asks to act in your name.
Then you go on to <code>${escaped(redirectUri)}</code>.</p>
<p>${escaped(application.description)}</p>
<dl>${wishes.join('')}</dl>
<form method="post" action="${escaped(approve)}">${hidden}<button>Allow</button></form>
<form method="post" action="${escaped(deny)}">${hidden}<button>Deny</button></form>`,
  })
}

/** Shows a token that is behind the `#` of the page's own address, which no server gets to see. */
export function sendTokenPage(reply: FastifyReply): FastifyReply {
  const nonce = randomBytes(16).toString('base64')
  return sendPage(reply, {
    title: 'Your token',
    nonce,
    body: `
<p>Keep it: it will not be shown again.</p>
<p><code id="token"></code></p>
<script nonce="${nonce}">
document.getElementById('token').textContent = new URLSearchParams(location.hash.slice(1)).get('access_token') ?? ''
history.replaceState(null, '', location.pathname)
</script>`,
  })
}

export function sendMessagePage(reply: FastifyReply, title: string): FastifyReply {
  return sendPage(reply, { title, body: '' })
}

interface Page {
  title: string
  body: string
  /** Of the only script that may run; none may where it is undefined. */
  nonce?: string
}

function sendPage(reply: FastifyReply, { title, body, nonce }: Page): FastifyReply {
  const script = nonce === undefined ? '' : `; script-src 'nonce-${nonce}'`
  return reply
    .headers({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': `default-src 'none'${script}; base-uri 'none'; frame-ancestors 'none'`,
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    })
    .send(
      `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escaped(title)}</title><h1>${escaped(title)}</h1>${body}</html>\n`,
    )
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
