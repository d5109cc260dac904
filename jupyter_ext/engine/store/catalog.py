"""TEMP."""
from __future__ import annotations
import json, sqlite3
class Catalog:
    def __init__(self, path): self._path=path
    async def open(self):
        self.c=sqlite3.connect(self._path, check_same_thread=False); self.c.row_factory=sqlite3.Row
        self.c.execute("create table if not exists t(id text primary key, status, created_at, resource)")
    async def close(self): self.c.close()
    async def put_training(self, id, **f):
        self.c.execute("insert or replace into t values(?,?,?,?)",(id,f["status"],f["created_at"],json.dumps(f["resource"]))); self.c.commit()
    async def get_training(self,id):
        r=self.c.execute("select * from t where id=?",(id,)).fetchone()
        return r and {**dict(r),"resource":json.loads(r["resource"])}
    async def list_trainings(self,status=None,limit=100,before=None):
        q="select * from t where 1=1"; a=[]
        if status: q+=" and status=?"; a.append(status)
        if before: q+=" and (created_at,id)<(?,?)"; a+=before
        return [{**dict(r),"resource":json.loads(r["resource"])} for r in self.c.execute(q+" order by created_at desc,id desc limit ?",(*a,limit))]
    async def put_version(self,id,**f): pass
