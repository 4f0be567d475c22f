import { applications } from './applications.ts'
import type { Case } from './case.ts'
import { content, endsOfImages, images } from './images.ts'
import { endsOfOrganizations, organizations } from './organizations.ts'
import { endsOfRepositories, repositories } from './repositories.ts'
import { search } from './search.ts'
import { superuser } from './superuser.ts'
import { endsOfUsers, users } from './users.ts'

/** All calls, in the order in which they are made: each finds what those before it have left. */
export const cases: readonly Case[] = [
  ...users,
  ...organizations,
  ...repositories,
  ...images,
  ...content,
  ...applications,
  ...search,
  ...superuser,
  ...endsOfImages,
  ...endsOfRepositories,
  ...endsOfOrganizations,
  ...endsOfUsers,
]

const names = cases.map(({ name }) => name)
const twice = names.filter((name, place) => names.indexOf(name) !== place)
if (twice.length > 0) throw new Error(`several cases have one name; give them notes: ${twice.join(', ')}`)
