import { call, type Case } from './case.ts'

const readers = ['anonymous', 'stranger', 'user', 'token'] as const

/** Finding, and what the API says of itself. */
export const search: readonly Case[] = [
  ...readers.map(as => call(as, 'GET /api/v1/entities/ali')),
  call('user', 'GET /api/v1/entities/dev?namespace=acme&includeTeams=true'),
  call('user', 'GET /api/v1/entities/build?namespace=acme'),
  call('user', 'GET /api/v1/entities/ac?includeOrgs=true'),
  call('user', 'GET /api/v1/entities/mal?namespace=acme'),
  call('user', 'GET /api/v1/entities/zzz'),
  ...readers.map(as => call(as, 'GET /api/v1/find/all?query=ma')),
  call('user', 'GET /api/v1/find/all?query=acme'),
  call('user', 'GET /api/v1/find/all?query=dev'),
  call('user', 'GET /api/v1/find/all?query=builder'),
  call('user', 'GET /api/v1/find/all?query=alice'),
  call('user', 'GET /api/v1/find/all'),
  ...readers.map(as => call(as, 'GET /api/v1/find/repositories?query=ma')),
  call('user', 'GET /api/v1/find/repositories?query=pushed&includeUsage=true'),
  call('user', 'GET /api/v1/find/repositories?query=pushed&includeUsage=false'),
  call('user', 'GET /api/v1/find/repositories?query=&page=2'),
  call('user', 'GET /api/v1/find/repositories?query=&page=wrong'),

  call('anonymous', 'GET /api/v1/discovery', { depth: 1 }),
  call('user', 'GET /api/v1/discovery', { depth: 1 }),
  call('anonymous', 'GET /api/v1/error/not_found'),
  call('anonymous', 'GET /api/v1/error/unheard_of'),
  call('anonymous', 'GET /api/v1/nothing'),
  call('user', 'GET /api/v1/nothing'),
  call('user', 'PATCH /api/v1/user/', { note: 'a method that it does not have' }),
  call('user', 'POST /api/v1/user/starred', { body: 'wrong', note: 'no JSON' }),
  call('anonymous', 'GET /v2/nothing'),
]
