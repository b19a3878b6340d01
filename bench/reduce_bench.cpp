#include <cstdio>
#include <cstring>
#include <chrono>
#include <string>
#include <vector>
#include <cstdlib>
#include "tomograph/reduce/pca.h"
using namespace tomograph;
static double now(){return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();}
static Matrix load(const char*p){FILE*f=fopen(p,"rb");char h[10];if(fread(h,1,10,f)!=10)exit(1);unsigned short hl;memcpy(&hl,h+8,2);std::string s(hl,0);if(fread(s.data(),1,hl,f)!=hl)exit(1);long n,d;auto i=s.find("'shape': (");sscanf(s.c_str()+i+10,"%ld, %ld",&n,&d);Matrix m(n,d);if(fread(m.data(),4,n*d,f)!=size_t(n*d))exit(1);fclose(f);return m;}
int main(int c,char**v){Matrix x=load(v[1]);int th=c>2?atoi(v[2]):0;
 for(int r=0;r<4;++r){double t=now();auto m=compute_moments(MatrixRows(x),{th});double t1=now();auto p=fit_pca(m,{.n_components=6});double t2=now();auto s=transform(p,MatrixRows(x),{.threads=th});printf("moments %.3f eig %.3f transform %.3f var %.6f %.6f sum %.9g\n",t1-t,t2-t1,now()-t2,p.explained_variance[0],p.explained_variance[5],(double)s.sum());}}
